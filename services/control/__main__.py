from services.control.main import main

if __name__ == "__main__":
    main()
